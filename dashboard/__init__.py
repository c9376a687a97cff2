"""The pages that finance looks at; they read the published warehouse and nothing else."""
