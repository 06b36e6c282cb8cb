//! Routes that can be documented: what serves a request is there at once, what describes it is made when somebody asks.
//!
//! A gateway that starts needs no document (it serves the one that is checked in), and the descriptions of all routes are
//! some ten megabytes and milliseconds. Both come from one handler, so that they cannot disagree.

use axum::Router;
use axum::handler::Handler;
use axum::routing::MethodRouter;
use utoipa::openapi::OpenApi;
use utoipa::openapi::path::Operation;
use utoipa_axum::PathItemExt;
use utoipa_axum::router::{OpenApiRouter, UtoipaMethodRouter};

use super::HttpState;

/// A handler with its path and methods, and what describes it.
pub(super) struct Route {
    pub path: String,
    pub handler: MethodRouter<HttpState>,
    /// Its parameters, bodies and answers.
    pub operation: fn() -> Operation,
    /// The same with the schemas that it refers to.
    pub description: fn() -> Description,
}

/// What a document says of a route.
pub(super) type Description = UtoipaMethodRouter<HttpState>;

impl Route {
    /// The route of a handler that `P` describes; called by `route!`.
    pub fn new<P, H, T>(handler: &H, description: fn() -> Description) -> Self
    where
        P: utoipa::Path,
        H: Handler<T, HttpState>,
        T: 'static,
    {
        let methods = P::methods();
        let filters = methods.iter().map(PathItemExt::to_method_filter);
        Self {
            path: P::path(),
            handler: filters.fold(MethodRouter::new(), |router, filter| {
                router.on(filter, handler.clone())
            }),
            operation: P::operation,
            description,
        }
    }
}

/// The [`Route`] of a handler with a `utoipa::path` block.
macro_rules! route {
    ($handler:ident) => {
        utoipa_axum::paste! {
            $crate::http::routing::Route::new::<[<__path_ $handler>], _, _>(
                &$handler,
                || utoipa_axum::routes!($handler),
            )
        }
    };
}
pub(super) use route;

/// A route with its guard, and with what its registration adds to the description.
pub(super) struct Registered {
    pub path: String,
    pub handler: MethodRouter<HttpState>,
    pub described: Box<dyn FnOnce() -> Description>,
}

/// The routes of a noun, or of all.
#[derive(Default)]
pub(super) struct Routes {
    router: Router<HttpState>,
    described: Vec<Box<dyn FnOnce() -> Description>>,
}

impl Routes {
    /// With one more.
    pub fn with(mut self, route: Registered) -> Self {
        self.router = self.router.route(&route.path, route.handler);
        self.described.push(route.described);
        self
    }

    /// With one more that the document does not have from here.
    pub fn undocumented(mut self, path: &str, handler: MethodRouter<HttpState>) -> Self {
        self.router = self.router.route(path, handler);
        self
    }

    /// With those of another noun.
    pub fn merge(mut self, other: Self) -> Self {
        self.router = self.router.merge(other.router);
        self.described.extend(other.described);
        self
    }

    /// The same, served by another router.
    pub fn map(self, change: impl FnOnce(Router<HttpState>) -> Router<HttpState>) -> Self {
        Self {
            router: change(self.router),
            ..self
        }
    }

    /// What serves them.
    pub fn into_router(self) -> Router<HttpState> {
        self.router
    }

    /// What describes them.
    pub fn into_document(self) -> OpenApi {
        let described = self.described.into_iter().map(|described| described());
        described
            .fold(OpenApiRouter::default(), OpenApiRouter::routes)
            .into_openapi()
    }
}
