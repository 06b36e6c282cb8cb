//! Leaked logon sessions: a killed process leaves those that it had not saved for a task, since no other process can
//! log them off; nothing else leaves any.

use crate::cluster::Cluster;
use crate::em::Em;

/// What killed gateways left, when the last one of the storm is about to start.
pub struct Left {
    open: u64,
    /// How many of the open ones the store keeps. It may keep more: a replica that was frozen while another took over and
    /// closed its session records the answer of its last request together with that session.
    kept: u64,
}

impl Left {
    /// Kills once more, checks, and starts the last gateways. No fault may be ordered any more: a false 401 makes a
    /// gateway give up a session that lives.
    pub async fn by_a_last_kill(cluster: &mut Cluster, em: &Em) -> Self {
        cluster.kill_all();
        let mut kept = 0;
        for logon in cluster.kept_logons().await {
            kept += u64::from(em.is_open(&logon).await);
        }
        let open = em.count("activeSessions").await;
        cluster.start_again().await;
        Self { open, kept }
    }

    /// Stops the last gateways in order once their tasks have ended: what they opened is gone, and what they took up
    /// from the store as well, so that exactly the unsaved ones of the killed are left. A replica that was killed counts
    /// as alive for a while, in which the others are guests in its sessions; one whose task ends by then is left, too.
    /// The counts as text.
    pub async fn check(self, cluster: &mut Cluster, em: &Em) -> String {
        cluster.stop();
        let Self { open, kept } = self;
        let left = em.count("activeSessions").await;
        let most = if cluster.has_replicas() { open } else { open - kept };
        assert!(
            (open - kept..=most).contains(&left),
            "{left} logon sessions left: the killed had left {open}, of which {kept} were kept for tasks"
        );
        assert_eq!(
            cluster.kept_logons().await.len(),
            0,
            "sessions kept although no task needs one"
        );
        format!(
            "{left} logon sessions left of the {open} that the killed had open, {} of {kept} kept ones logged off",
            open - left
        )
    }
}

/// With nothing unfinished in the store a gateway takes up nothing, and leaves nothing.
pub async fn a_fresh_gateway_logs_off_as_often_as_it_logs_on(cluster: &mut Cluster, em: &Em) {
    let (logons, logoffs) = (em.count("logons").await, em.count("logoffs").await);
    cluster.start_again().await;
    cluster.wait_until_ready().await;
    cluster.stop();
    let opened = em.count("logons").await - logons;
    let closed = em.count("logoffs").await - logoffs;
    assert!(opened > 0, "a gateway that is ready has logged on");
    assert_eq!(closed, opened, "log-offs and logons of one process");
}
