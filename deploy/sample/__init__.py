"""Sample data of the product's own: calendars, units, procedures, people who do not exist."""

from deploy.sample.feeding import feed

__all__ = ["feed"]
