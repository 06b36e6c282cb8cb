//! Routes that can be documented: what serves a request is there at once, what describes it is made when somebody asks.
//!
//! A gateway needs no descriptions (it serves the document that is checked in, and `build.rs` takes from that what a guard
//! has to know). Programs that are shipped are built without them: feature `openapi`. A handler and what describes it come
//! from one place, so that they cannot disagree.

use axum::Router;
use axum::handler::Handler;
use axum::routing::MethodRouter;
use utoipa::openapi::OpenApi;
use utoipa::openapi::path::HttpMethod;
use utoipa_axum::PathItemExt;
use utoipa_axum::router::{OpenApiRouter, UtoipaMethodRouter};

use super::HttpState;

/// Whether this program can make the document anew. Where it cannot, none of what describes routes is in it.
pub(super) const DESCRIBES: bool = cfg!(feature = "openapi");

/// A handler with its path and methods, and what describes it.
pub(super) struct Route {
    pub path: String,
    pub handler: MethodRouter<HttpState>,
    pub documented: &'static Documented,
    /// Parameters, bodies and answers, with the schemas that they refer to; there if [`DESCRIBES`].
    pub description: Option<fn() -> Description>,
}

/// What a document says of a route.
pub(super) type Description = UtoipaMethodRouter<HttpState>;

/// What a guard has to know of an operation, as the checked-in document has it.
pub(super) struct Documented {
    path: &'static str,
    method: HttpMethod,
    /// What a handler does is called as the document calls its operation.
    pub name: &'static str,
    /// The query parameters that it takes.
    pub queries: &'static [&'static str],
}

/// Every operation but those of the mirror.
static DOCUMENTED: &[Documented] = include!(concat!(env!("OUT_DIR"), "/operations.rs"));

impl Documented {
    /// A route that the document does not have yet, until `make openapi` writes it anew.
    const NEW: &'static Self = &Self {
        path: "",
        method: HttpMethod::Get,
        name: "",
        queries: &[],
    };

    fn of(path: &str, methods: &[HttpMethod]) -> &'static Self {
        let known = DOCUMENTED
            .iter()
            .find(|one| one.path == path && methods.contains(&one.method));
        known.unwrap_or(Self::NEW)
    }
}

impl Route {
    /// The route of a handler that `P` describes; called by `route!`.
    pub fn new<P, H, T>(handler: &H, description: Option<fn() -> Description>) -> Self
    where
        P: utoipa::Path,
        H: Handler<T, HttpState>,
        T: 'static,
    {
        let (path, methods) = (P::path(), P::methods());
        let filters = methods.iter().map(PathItemExt::to_method_filter);
        Self {
            documented: Documented::of(&path, &methods),
            path,
            handler: filters.fold(MethodRouter::new(), |router, filter| {
                router.on(filter, handler.clone())
            }),
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
                if $crate::http::routing::DESCRIBES {
                    Some(|| utoipa_axum::routes!($handler))
                } else {
                    None
                },
            )
        }
    };
}
pub(super) use route;

/// A route with its guard, and with what its registration adds to the description.
pub(super) struct Registered {
    pub path: String,
    pub handler: MethodRouter<HttpState>,
    pub described: Option<Box<dyn FnOnce() -> Description>>,
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
        self.described.extend(route.described);
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

#[cfg(all(test, feature = "openapi"))]
mod tests {
    use utoipa::openapi::RefOr;
    use utoipa::openapi::path::ParameterIn;

    use super::*;
    use crate::http::register::operations;
    use crate::http::routes;

    #[test]
    fn a_guard_knows_of_each_route_what_describes_it() {
        let mut described = routes::all().into_document().paths.paths;
        let mut found = 0;
        for (path, item) in &mut described {
            for operation in operations(item) {
                let name = operation.operation_id.as_deref().expect("a name");
                let known = DOCUMENTED.iter().find(|one| one.path == path && one.name == name);
                let known =
                    known.unwrap_or_else(|| panic!("{name} is not in the document: run `make openapi`"));
                let of_the_route = Documented::of(path, std::slice::from_ref(&known.method));
                assert!(std::ptr::eq(of_the_route, known), "{name}");
                let parameters = operation.parameters.iter().flatten();
                let queries: Vec<&str> = parameters
                    .filter_map(|parameter| match parameter {
                        RefOr::T(one) if one.parameter_in == ParameterIn::Query => Some(one.name.as_str()),
                        _ => None,
                    })
                    .collect();
                assert_eq!(queries, known.queries, "{name}");
                found += 1;
            }
        }
        assert_eq!(found, DOCUMENTED.len());
    }
}
