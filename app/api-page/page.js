// The specification of the server API, shown by Swagger UI. A key that is entered stays in the page.
SwaggerUIBundle({
  url: '/openapi.json',
  dom_id: '#page',
  deepLinking: true,
  // No request goes anywhere else.
  validatorUrl: null,
});
