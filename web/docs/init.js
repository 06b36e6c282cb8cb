// Shows the gateway's own document. Everything that would call out (fonts, proxy, telemetry, agent) is off, and
// the page's content security policy would stop it anyway: the page has to work in a network without internet.
Scalar.createApiReference('#docs', {
  url: '/openapi.json',
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
