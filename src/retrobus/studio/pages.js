/** Every page, in the order of the navigation. */

import { listPage } from "./list.js";
import { RESOURCES } from "./resources.js";
import { register } from "./router.js";
import { newPage, ownPage, rowPage } from "./row.js";
import { readReference } from "./schema.js";

for (const resource of RESOURCES) {
  register(resource.page, {
    title: resource.title,
    allowed: resource.allowed,
    show: async ([key], query, heading) => {
      await readReference();
      if (key === undefined) return listPage(resource, query);
      return key === "nouveau" ? newPage(resource, heading) : rowPage(resource, key, heading);
    },
  });
}

register("moi", { title: "Ma fiche", listed: false, show: () => readReference().then(ownPage) });
