"""Sample data of the product's own: a town of 2019 with calendars, units, officers, routes, procedures, and citizens
who do not exist."""
