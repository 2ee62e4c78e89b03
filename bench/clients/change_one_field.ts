// Changes one field of each resource with the generated client, against a running service.
import createClient from "openapi-fetch";
import type { components, paths } from "./schema";

type VehicleChange = components["schemas"]["VehicleChange"];
type EventChange = components["schemas"]["EventChange"];
type MemberChange = components["schemas"]["MemberChange"];

const [baseUrl, token, parc, event, member] = process.argv.slice(2) as [string, string, string, string, string];
const client = createClient<paths>({ baseUrl, headers: { Authorization: `Bearer ${token}` } });

const vehicleChange: VehicleChange = { subtitle: "Depuis TypeScript" };
const eventChange: EventChange = { location: "Depuis TypeScript" };
const memberChange: MemberChange = { city: "Depuis TypeScript" };

const results = [
  await client.PATCH("/api/vehicles/{parc}", { params: { path: { parc } }, body: vehicleChange }),
  await client.PUT("/api/events/{id}", { params: { path: { id: event } }, body: eventChange }),
  await client.PATCH("/api/members/{id}", { params: { path: { id: member } }, body: memberChange }),
];
for (const { error, response } of results) {
  if (error !== undefined) throw new Error(`${response.status}: ${error.error}`);
}
const { data } = await client.GET("/api/vehicles/{parc}", { params: { path: { parc } } });
if (data?.subtitle !== "Depuis TypeScript") throw new Error("not changed");
