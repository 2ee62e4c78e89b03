/** Every page, in the order of the navigation: each module registers its own. */

import { register } from "./router.js";
import { user } from "./session.js";
import { h } from "./h.js";

register("moi", { title: "Ma fiche", show: () => h("p", {}, user().email) });
