// The types that the console's modules name in their comments. What the API says comes from its own document.

type Schemas = import("emgate-api").components["schemas"];
type Plan = Schemas["Plan"];
type Operation = Schemas["Operation"];
type Session = Schemas["FailoverSession"];
type Machine = Schemas["SessionVirtualMachine"];
type Delivery = Schemas["WebhookDelivery"];
type Attempt = Schemas["WebhookAttempt"];
type Endpoint = Schemas["WebhookEndpoint"];
type EndpointCreated = Schemas["WebhookEndpointCreated"];
type Job = Schemas["WebhookJob"];
type RecoveryReport = Schemas["RecoveryReport"];
type Programme = Schemas["RecoveryProgramme"];
type ProgrammePlan = Schemas["ProgrammePlan"];
type PastTest = Schemas["PastTest"];
type DryRun = Schemas["DryRun"];
type AuditEntry = Schemas["AuditEntry"];
type Readiness = Schemas["Readiness"];
/** `GET /api/v1/system`. */
type SystemView = Schemas["System"];
type Objectives = Schemas["Objectives"];
type ProblemBody = Schemas["Problem"];
type Page = Schemas["PageInfo"];
type List<T> = { items: T[]; page: Page };

type Timer = ReturnType<typeof setTimeout> | undefined;
type Cell<T> = { readonly value: T; set(next: T): void; watch(watcher: (value: T) => void): () => void };
type Answer = { data: any; status: number; headers: Headers };
type Route = { parts: string[]; query: URLSearchParams; address: string };
type Shown<T> = { link: string | null; data: T | null; problem: import("./lib/api.js").Problem | null; busy: boolean };
type Loaded<T> = Omit<Shown<T>, "link"> & { reload: () => void };
type Column<T> = { head: string; cell: (row: T) => any; kind?: string };
type LoginOptions = { token: boolean; oidc: { enabled: boolean; name?: string } };
type Who = {
  state: "unknown" | "in" | "out";
  scopes: string[] | null;
  subject?: string;
  tenant?: string | null;
  /** Those that the caller is confined to; null when to none. */
  tenants?: string[] | null;
  expiresAt?: string;
  problem?: import("./lib/api.js").Problem;
};

type StreamEvent = { id: string; type: string; timestamp: string; data: Partial<Schemas["FailoverEventData"]> & Record<string, any> };
type Freshness = { state: "idle" | "connecting" | "live" | "waiting" | "hidden" | "forbidden" | "out"; heardAt: number; retryAt: number };
type HubMessage =
  | { kind: "status"; status: Freshness }
  | { kind: "events"; events: { id: string; type: string; text: string }[] }
  | { kind: "whoIsThere" }
  | { kind: "reset" };
type TabMessage =
  | { kind: "here"; tab: string; visible: boolean }
  | { kind: "gone"; tab: string }
  | { kind: "begin"; position: string }
  | { kind: "in" }
  | { kind: "out" };
