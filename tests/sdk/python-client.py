"""The client made by openapi-python-client: a curated call and one through the mirror."""

import importlib
import os
import pkgutil

import emgate_client
from emgate_client import AuthenticatedClient
from emgate_client.api.em_jobs import list_em_jobs
from emgate_client.api.plans import list_cloud_failover_plans
from emgate_client.models import EmJobEntity, EmJobEntityList, ListEmJobsFormat, PlanPage

# Everything that was generated can be read, not only what is called here.
modules = [module.name for module in pkgutil.walk_packages(emgate_client.__path__, "emgate_client.")]
for module in modules:
    importlib.import_module(module)

client = AuthenticatedClient(base_url=os.environ["EMGATE_SERVER"], token=os.environ["EMGATE_TOKEN"])

plans = list_cloud_failover_plans.sync(client=client, page_size=10)
assert isinstance(plans, PlanPage), plans
names = [plan.name for plan in plans.items]
assert "ABC Company Failover Plan" in names, names

jobs = list_em_jobs.sync(client=client, format_=ListEmJobsFormat.ENTITY, page_size=5)
assert isinstance(jobs, EmJobEntityList), jobs
job = jobs.items[0]
assert isinstance(job, EmJobEntity) and job.id and isinstance(job.links, list), job

print(f"openapi-python-client: {len(modules)} modules, {len(names)} plans, {len(jobs.items)} jobs, the first is {job.name}")
