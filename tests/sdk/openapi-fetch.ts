// The client made by openapi-typescript and openapi-fetch: a curated call and one through the mirror.
import createClient from "openapi-fetch";

import type { components, paths } from "./schema";

declare const process: { env: Record<string, string | undefined> };

const client = createClient<paths>({
  baseUrl: process.env.EMGATE_SERVER,
  headers: { authorization: `Bearer ${process.env.EMGATE_TOKEN}` },
});

const plans = await client.GET("/api/v1/cloud-failover-plans", { params: { query: { pageSize: 10 } } });
if (!plans.data) throw new Error(`plans: ${plans.response.status}`);
const names: string[] = plans.data.items.map((plan) => plan.name);
if (!names.includes("ABC Company Failover Plan")) throw new Error(`plans: ${names.join(", ")}`);

const jobs = await client.GET("/api/v1/em/jobs", { params: { query: { format: "Entity", pageSize: 5 } } });
if (!jobs.data) throw new Error(`jobs: ${jobs.response.status}`);
const job: components["schemas"]["EmJobEntity"] | components["schemas"]["EmEntityReference"] | undefined =
  jobs.data.items[0];
if (!job?.id || !job.name || !Array.isArray(job.links)) throw new Error(`jobs: ${JSON.stringify(job)}`);

console.log(`openapi-typescript: ${names.length} plans, ${jobs.data.items.length} jobs, the first is ${job.name}`);
