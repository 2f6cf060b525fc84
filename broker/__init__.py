"""The contract: topics, messages, frame metadata, the MQTT client and the Mosquitto broker."""
