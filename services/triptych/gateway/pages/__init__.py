"""The pages that the gateway serves to browsers; they load nothing from another host."""
