"""Augmentation: views of images, made in batches on the device."""
