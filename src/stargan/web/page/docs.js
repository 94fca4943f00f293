// The page of the API. It validates nothing elsewhere, so that it needs no network.
SwaggerUIBundle({ url: "/openapi.json", dom_id: "#api", validatorUrl: null, deepLinking: true });
