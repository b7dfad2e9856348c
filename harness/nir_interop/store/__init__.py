"""What is known already: outcomes and files on disk, named by what they depend on."""
