"""Tier prices: the owner's file, the panel of users, months and costs, the study of menus, and what is exported."""
