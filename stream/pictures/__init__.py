"""Pictures and their planes: sizes, colours, where samples lie, who may write to them."""
