// What the pictures and the checks of access show: a busy evening, made through the API and the simulator alone.

import { api, plansOf, sim, tested, until } from "./world.mjs";

/**
 * Past tests, a failed one, one that runs, an approval that waits, an endpoint that takes and one that does not.
 * @param seconds of the simulator that the running one takes
 */
export async function busyEvening(world, { seconds = 200_000 } = {}) {
  const plans = await plansOf(world);
  const [first, second, third, fourth] = plans;
  const objectives = { rtoSeconds: 120, rpoSeconds: 172_800, testEveryDays: 30, owner: "dr-team" };
  for (const plan of plans) await api(world, `/api/v1/cloud-failover-plans/${plan.id}/objectives`, { method: "PUT", body: objectives });
  const made = await api(world, "/api/v1/webhook-endpoints", { method: "POST", body: { url: world.receiver.url, description: "On-call chat", eventTypes: ["failover.session.started", "failover.session.finished", "failover.approval.requested"] } });
  await api(world, "/api/v1/webhook-endpoints", { method: "POST", body: { url: "http://127.0.0.1:9/hook", description: "Ticket system", eventTypes: ["failover.session.finished"] } });
  const good = await tested(world, first, { reason: "Monthly test" });
  await sim(world, "outcomes", { planId: second.id, result: "failed", failureMessage: "Failed to power on the replica: host esx02.dr.example has not enough memory", seconds: 600 });
  const bad = await tested(world, second, { reason: "Monthly test" });
  await api(world, `/api/v1/operations/${good.id}/checks`, { method: "POST", body: { name: "Log in to the application", machine: good.session.virtualMachines[0].name, result: "pass" } });
  await api(world, `/api/v1/operations/${good.id}/notes`, { method: "POST", body: { text: "DNS was switched by hand at 02:40." } });
  const gated = plans.find(({ name }) => name.startsWith("R&D")) ?? fourth;
  const waiting = await api(world, `/api/v1/cloud-failover-plans/${gated.id}/start`, { method: "POST", body: { reason: "The site has no power" }, as: { subject: "night-shift" } });
  const other = [third, fourth].find((plan) => plan && plan.id !== gated.id) ?? first;
  await sim(world, "outcomes", { planId: other.id, seconds, result: "success" });
  const running = await api(world, `/api/v1/cloud-failover-plans/${other.id}/start`, { method: "POST", body: { reason: "Storage of the main site fails" }, as: { subject: "night-shift" } });
  await until("a running session", async () => (await api(world, `/api/v1/operations/${running.id}`)).session);
  await until("an endpoint that fails", async () => (await api(world, "/api/v1/webhook-endpoints")).items.some(({ health }) => health !== "up"));
  const [delivery] = (await api(world, "/api/v1/webhook-deliveries?pageSize=1")).items;
  return { plans, good, bad, waiting, running, endpoint: made.id, delivery: delivery.id, other };
}
