// Shows the OpenAPI document of this gateway. Swagger UI would otherwise ask a host of its makers to validate it.
SwaggerUIBundle({
  url: "openapi.json",
  dom_id: "#operations",
  deepLinking: true,
  showExtensions: true,
  showCommonExtensions: true,
  validatorUrl: null,
});
