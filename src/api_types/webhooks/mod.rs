//! Webhook endpoints and deliveries as JSON (docs/behaviour.md#endpoints, #deliveries).
//!
//! | file | holds |
//! |---|---|
//! | `input` | what callers send |
//! | `endpoint`, `answers` | endpoints as they are read, and as the answer to a change |
//! | `delivery` | what is sent to them |
//! | `event` | what events say of them |

mod answers;
mod delivery;
mod endpoint;
mod event;
mod input;

pub use answers::{WebhookEndpointChanged, WebhookEndpointCreated, WebhookEndpointSecret, WebhookWarning};
pub use delivery::{WebhookAttempt, WebhookAttemptPhases, WebhookDelivery, WebhookJob, WebhookPreview};
pub use endpoint::{
    WebhookBot, WebhookCertificate, WebhookClientCertificate, WebhookEndpoint, WebhookFilter, WebhookOwner,
};
pub use event::{EndpointEventData, EndpointSummary};
pub use input::{
    WebhookBotInput, WebhookClientCertificateInput, WebhookEndpointCreate, WebhookEndpointPatch,
    WebhookFilterInput, WebhookFilterPatch, WebhookPreviewInput, WebhookResend, WebhookSecretRotation,
};
