"""`measure` and `report`: is the model honest, and what does its cut-off do?"""
