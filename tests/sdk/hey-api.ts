// The client made by @hey-api/openapi-ts: a curated call and one through the mirror, by the operations' names.
import { client } from "./hey/client.gen";
import { listCloudFailoverPlans, listEmJobs } from "./hey/sdk.gen";

declare const process: { env: Record<string, string | undefined> };

client.setConfig({ baseUrl: process.env.EMGATE_SERVER ?? "", auth: () => process.env.EMGATE_TOKEN });

const plans = await listCloudFailoverPlans({ query: { pageSize: 10 }, throwOnError: true });
const names: string[] = plans.data.items.map((plan) => plan.name);
if (!names.includes("ABC Company Failover Plan")) throw new Error(`plans: ${names.join(", ")}`);

const jobs = await listEmJobs({ query: { format: "Entity", pageSize: 5 }, throwOnError: true });
const job = jobs.data.items[0];
if (!job?.id || !job.name) throw new Error(`jobs: ${JSON.stringify(job)}`);

console.log(`@hey-api/openapi-ts: ${names.length} plans, ${jobs.data.items.length} jobs, the first is ${job.name}`);
