/** Every page, in the order of the navigation; see router.js for what each has. */

import { backupsPage } from "./backups.js";
import { boardPage } from "./board.js";
import { conflictsPage } from "./conflicts.js";
import { deletionsPage } from "./deletions.js";
import { listPage } from "./list.js";
import { RESOURCES } from "./resources.js";
import { newPage, ownPage, rowPage } from "./row.js";
import { isAdmin, isManager } from "./session.js";

const rowsOf = (resource) => ({
  title: resource.title, listed: true, allowed: resource.allowed,
  show: ([key], query, heading) => {
    if (key === undefined) return listPage(resource, query);
    return key === "nouveau" ? newPage(resource, heading) : rowPage(resource, key, heading);
  },
});

export const PAGES = {
  tableau: { title: "Tableau de bord", listed: true, allowed: isManager, show: boardPage },
  ...Object.fromEntries(RESOURCES.map((resource) => [resource.page, rowsOf(resource)])),
  suppressions: { title: "Suppressions", listed: true, allowed: isManager, show: (_, query) => deletionsPage(query) },
  conflits: { title: "Conflits", listed: true, allowed: isAdmin, show: (_, query) => conflictsPage(query) },
  sauvegardes: { title: "Sauvegardes", listed: true, allowed: isAdmin, show: backupsPage },
  moi: { title: "Ma fiche", listed: false, show: ownPage },
};
