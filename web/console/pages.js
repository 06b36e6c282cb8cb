// All pages but the board: one file in the program, which is fetched when one of them is opened, or when there is time.

export { Approvals } from "./pages/approvals.js";
export { Deliveries, DeliveryPage } from "./pages/deliveries.js";
export { EndpointPage, Endpoints } from "./pages/endpoints.js";
export { Failover } from "./pages/failover.js";
export { Audit, Reports, System } from "./pages/oversight.js";
export { PlanPage, Plans } from "./pages/plans.js";
export { Events } from "./pages/records.js";
