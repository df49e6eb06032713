"""Lead sheets to rendered clips with exact truth."""
