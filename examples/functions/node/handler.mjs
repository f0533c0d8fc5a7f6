export async function handle(event, context) {
  console.log('called by', context.awsRequestId)
  return { hello: event.name ?? 'world' }
}
