"""Open Personalizer's rooms, floor by floor: domain, learning and joining, services with storage and api, runtime."""
