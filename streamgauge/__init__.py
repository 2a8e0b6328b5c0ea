"""Streamgauge: usage events of AI calls in; cost per outcome, budget states and explained alerts out."""
