"""Reports: what people read. The PDF pack, the HTML site, and machine formats."""
