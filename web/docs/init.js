// Shows the gateway's own document. The page has to work in a network without internet, so that nothing calls out, and the
// page's content security policy would stop it anyway. All addresses follow from the page's own, which may be behind a proxy
// that takes off a prefix.
const below = (path) => new URL(path, document.baseURI).href;

// A request that is tried out goes to the gateway below whose address the page stands, whatever the document says.
const ownServer = {
  statePlugins: {
    spec: {
      wrapActions: {
        updateJsonSpec: (update) => (spec) => update({ ...spec, servers: [{ url: below('.').replace(/\/$/, '') }] }),
      },
    },
  },
};

// What is at `path` of the document, and the components that it needs.
function excerpt(whole, path) {
  const { paths, webhooks, components, ...part } = whole;
  const take = (place) => {
    const name = place.at(-1);
    const room = place.slice(0, -1).reduce((at, step) => (at[step] ??= {}), part);
    if (name in room) return;
    room[name] = place.reduce((at, step) => at?.[step], whole);
    const text = JSON.stringify(room[name] ?? null);
    for (const [, kind, key] of text.matchAll(/"#\/components\/(\w+)\/([^/"]+)/g)) take(['components', kind, key]);
  };
  take(path.slice(0, path[0] === 'components' ? 3 : 2));
  return part;
}

// The viewer reads all of a document each time that something is opened, which took seconds: it is given what it needs.
const readExcerpts = ({ fn: { resolveSubtree } }) => ({
  fn: { resolveSubtree: (whole, path, options) => resolveSubtree(excerpt(whole, path), path, options) },
});

// Whoever filters wants to see what is found: tags are open then.
const openFiltered = {
  statePlugins: {
    layout: {
      wrapSelectors: {
        isShown: (isShown, { layoutSelectors }) => (_state, thing, otherwise) => {
          const filter = layoutSelectors.currentFilter();
          const isFound = thing[0] === 'operations-tag' && typeof filter === 'string' && filter !== '';
          return isShown(thing, otherwise || isFound);
        },
      },
    },
  },
};

const dark = matchMedia('(prefers-color-scheme: dark)');
const followScheme = () => document.documentElement.classList.toggle('dark-mode', dark.matches);
dark.addEventListener('change', followScheme);
followScheme();

SwaggerUIBundle({
  dom_id: '#docs',
  url: below('openapi.json'),
  plugins: [ownServer, readExcerpts, openFiltered],
  validatorUrl: null,
  persistAuthorization: false,
  deepLinking: true,
  filter: true,
  docExpansion: 'none',
  defaultModelsExpandDepth: 0,
  displayRequestDuration: true,
});
