//! What SIGHUP has read again: the files of `server.tls`.
//!
//! The worker that looks at them every few seconds and the signal share the certificate, so that who asks for a reload
//! learns when it is over.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;

use crate::http::Certificate;
use crate::runtime::{Nudge, Tasks, Turn, Worker};

/// How long the files may take to be read; the signals wait for it.
const LIMIT: Duration = Duration::from_secs(5);

/// The files that can be read again while the gateway runs.
#[derive(Clone, Default)]
pub(super) struct Reload(Option<SharedCertificate>);

#[derive(Clone)]
struct SharedCertificate(Arc<Mutex<Certificate>>);

impl Reload {
    /// Keeps the certificate up to date.
    pub(super) fn drive(certificate: Option<Certificate>, tasks: &Tasks) -> Self {
        let shared = certificate.map(|certificate| SharedCertificate(Arc::new(Mutex::new(certificate))));
        if let Some(shared) = &shared {
            tasks.drive(shared.clone(), Nudge::default());
        }
        Self(shared)
    }

    /// Reads the files again; they are in use, or refused, when this returns.
    pub(super) async fn now(&mut self) {
        tracing::info!("SIGHUP: the files of server.tls are read again; other settings need a restart");
        if let Some(certificate) = &mut self.0
            && tokio::time::timeout(LIMIT, certificate.activate()).await.is_err()
        {
            tracing::warn!("the files of server.tls cannot be read in time; they are tried again");
        }
    }
}

impl Worker for SharedCertificate {
    const NAME: &'static str = Certificate::NAME;

    async fn activate(&mut self) -> Turn {
        self.0.lock().await.activate().await
    }
}
