"""Changes one field of each resource with the generated client, against a running service."""

import sys

from retrobus_client import AuthenticatedClient
from retrobus_client.api.events import update_event
from retrobus_client.api.members import patch_member
from retrobus_client.api.vehicles import get_vehicle, patch_vehicle
from retrobus_client.models import EventChange, MemberChange, VehicleChange

base_url, token, parc, event, member = sys.argv[1:]
client = AuthenticatedClient(base_url=base_url, token=token, raise_on_unexpected_status=True)

results = [
    patch_vehicle.sync_detailed(parc, client=client, body=VehicleChange(subtitle="Depuis Python")),
    update_event.sync_detailed(event, client=client, body=EventChange(location="Depuis Python")),
    patch_member.sync_detailed(member, client=client, body=MemberChange(city="Depuis Python")),
]
if [result.status_code for result in results] != [200, 200, 200]:
    sys.exit(f"refused: {results}")
if get_vehicle.sync(parc, client=client).subtitle != "Depuis Python":
    sys.exit("not changed")
