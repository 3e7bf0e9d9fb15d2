"""Notifying people and machines of events: limits, webhooks and MQTT. Knows no camera but by its events and states."""
