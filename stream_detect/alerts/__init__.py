"""Alerts: notifies webhooks and an MQTT broker of events. Knows cameras by their events and states only."""
