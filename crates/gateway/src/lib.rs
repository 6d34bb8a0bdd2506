//! The HTTP face of Caudal: resources, problem details and the OpenAPI document.
