"""What the product is compared with: programs that stand in for one of its processes."""
