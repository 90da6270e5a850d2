"""Records: what a company's own systems export (incidents, changes, training), as evidence."""
