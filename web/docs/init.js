// Shows the gateway's own document. Everything that would call out (fonts, proxy, telemetry, agent) is off, and
// the page's content security policy would stop it anyway: the page has to work in a network without internet.
// All addresses follow from the page's own, which may be behind a proxy that takes off a prefix.
const below = (path) => new URL(path, document.baseURI).href;
Scalar.createApiReference('#docs', {
  url: below('openapi.json'),
  servers: [{ url: below('.').replace(/\/$/, '') }],
  withDefaultFonts: false,
  telemetry: false,
  agent: { disabled: true },
  mcp: { disabled: true },
  showDeveloperTools: 'never',
  hideClientButton: true,
  persistAuth: false,
  authentication: { preferredSecurityScheme: 'bearer' },
  metaData: { title: 'emgate API' },
});
