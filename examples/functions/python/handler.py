def handle(event, context):
    print("called by", context.aws_request_id)
    return {"hello": event.get("name", "world")}
