"""Three small source systems for the demo and the tests; nothing else imports this package."""
