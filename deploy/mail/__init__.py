"""The mail catcher: takes every e-mail over SMTP, keeps it on disk, shows it in the browser; sends nothing on."""
