/** Every page, in the order of the navigation. */

import { backupsPage } from "./backups.js";
import { boardPage } from "./board.js";
import { conflictsPage } from "./conflicts.js";
import { deletionsPage } from "./deletions.js";
import { listPage } from "./list.js";
import { RESOURCES } from "./resources.js";
import { register } from "./router.js";
import { newPage, ownPage, rowPage } from "./row.js";
import { readReference } from "./schema.js";
import { isAdmin, isManager } from "./session.js";

register("tableau", { title: "Tableau de bord", allowed: isManager, show: boardPage });

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

register("suppressions", { title: "Suppressions", allowed: isManager, show: (_, query) => deletionsPage(query) });
register("conflits", { title: "Conflits", allowed: isAdmin, show: (_, query) => conflictsPage(query) });
register("sauvegardes", { title: "Sauvegardes", allowed: isAdmin, show: backupsPage });
register("moi", { title: "Ma fiche", listed: false, show: () => readReference().then(ownPage) });
