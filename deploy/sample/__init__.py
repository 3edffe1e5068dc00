"""Sample data of the product's own: calendars, units, procedures, people who do not exist."""
