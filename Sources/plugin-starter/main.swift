print("plugin-starter")
