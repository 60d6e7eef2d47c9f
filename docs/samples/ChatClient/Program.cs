// A conversation about a picture through IChatClient: dotnet run --project docs/samples/ChatClient -- MODEL_FOLDER PICTURE
// Each line of the input is a question; an empty one ends.
using GemmaCore.Extensions.AI;
using Microsoft.Extensions.AI;

using GemmaChatClient client = GemmaChatClient.Load(args[0]);
var options = new ChatOptions { Temperature = 0, MaxOutputTokens = 256 };
List<ChatMessage> conversation = [];
while (Console.ReadLine() is { Length: > 0 } question)
{
    List<AIContent> contents = [new TextContent(question)];
    if (conversation.Count == 0) contents.Insert(0, await DataContent.LoadFromAsync(args[1]));
    conversation.Add(new ChatMessage(ChatRole.User, contents));

    List<ChatResponseUpdate> updates = [];
    await foreach (ChatResponseUpdate update in client.GetStreamingResponseAsync(conversation, options))
    {
        Console.Write(update.Text);
        updates.Add(update);
    }

    ChatResponse response = updates.ToChatResponse();
    conversation.AddMessages(response);
    Console.WriteLine($"  [{response.Usage?.InputTokenCount} tokens in, {response.Usage?.OutputTokenCount} out]");
}
