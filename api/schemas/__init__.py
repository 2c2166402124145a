"""Wire formats: request and response models, query parameters and serializers."""
