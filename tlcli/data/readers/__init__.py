"""One module per source of images. Each registers itself in `tlcli.data.source`; nothing lists them."""
