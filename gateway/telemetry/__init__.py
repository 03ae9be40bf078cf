"""What the gateway says about itself: one wide event and metrics a request."""
