using System.Collections.Concurrent;
using System.Text;
using GemmaCore.Inputs.Volumes;

namespace GemmaCore.Inputs;

/// <summary>
/// The way in: conversations or raw text with pictures to token ids and pixel values, with one model folder's tokenizer, chat template
/// and image settings. Safe to use from several threads; other image settings come with <c>encoder with { … }</c>.
/// </summary>
public sealed record PromptEncoder
{
    private readonly ChatTemplate? _template;
    private readonly string _templateComplaint;
    private readonly VisionTokens? _vision;
    private readonly ImagePreprocessor? _preprocessor;

    private PromptEncoder(Tokenizer tokenizer, ChatTemplate? template, string templateComplaint, VisionTokens? vision, ImagePreprocessor? preprocessor)
    {
        (Tokenizer, _template, _templateComplaint, _vision, _preprocessor) = (tokenizer, template, templateComplaint, vision, preprocessor);
        PanAndScan = preprocessor?.PanAndScan;
    }

    /// <summary>The model's tokenizer.</summary>
    public Tokenizer Tokenizer { get; }

    /// <summary>True when the model has a vision tower.</summary>
    public bool TakesImages => _vision is not null;

    /// <summary>Image tokens per picture; 0 for a text-only model.</summary>
    public int TokensPerImage => _vision?.TokensPerImage ?? 0;

    /// <summary>The id that image features replace; -1 for a text-only model.</summary>
    public int ImageTokenId => _vision?.ImageTokenId ?? -1;

    /// <summary>When set, long pictures are shown whole and in crops. Starts as the model's files say, which is off.</summary>
    public PanAndScan? PanAndScan { get; init; }

    /// <summary>Turn pictures as their EXIF orientation says; off for parity with the Python stack.</summary>
    public bool ApplyOrientation { get; init; }

    /// <summary>Refuse pictures with more pixels than this before decoding them.</summary>
    public long MaxImagePixels { get; init; } = ImageDecoder.DefaultMaxPixels;

    /// <summary>How grey values of more than 8 bits become bytes where a picture does not say itself; null for what its kind asks for.</summary>
    public GreyWindow? Window { get; init; }

    /// <summary>
    /// Put pictures into the middle of a black square before they are resized, as Google's MedGemma server does; off for parity with transformers, which squashes them. What
    /// a model writes as <c>box_2d</c> is then in thousandths of that square.
    /// </summary>
    public bool PadToSquare { get; init; }

    private LastPicture LastPicture { get; init; } = new();

    // By source, once prepared; null to prepare every time.
    private ConcurrentDictionary<ImageSource, PreparedImage>? Remembered { get; init; }

    /// <summary>
    /// This encoder with a memory: a picture of several prompts is decoded and resized for the first of them, and the others get the same object. It grows with every
    /// picture and holds those of the present settings, so it is for a handful of prompts.
    /// </summary>
    public PromptEncoder Remembering() => this with { Remembered = new ConcurrentDictionary<ImageSource, PreparedImage>() };

    /// <summary>Reads tokenizer, template and image settings of a Hugging Face folder.</summary>
    /// <param name="modelFolder">The folder.</param>
    /// <param name="imageTokens">Tokens per picture instead of those that the model's configuration says; 0 for those.</param>
    /// <exception cref="InputException">A file is missing, damaged, or contradicts another.</exception>
    public static PromptEncoder Load(string modelFolder, int imageTokens = 0)
    {
        JsonInput config = JsonInput.FromFile(Path.Combine(modelFolder, "config.json"));
        Tokenizer tokenizer = Tokenizer.Load(modelFolder);
        VisionTokens? vision = VisionTokens.Read(config, tokenizer, imageTokens);
        ImagePreprocessor? preprocessor = vision is null ? null : ImagePreprocessor.Load(modelFolder);
        if (vision is not null && preprocessor is not null && imageTokens == 0) RequireAgreement(modelFolder, vision, preprocessor);

        string modelType = config.Optional("model_type").TextOr("");
        try
        {
            ChatTemplate template = ChatTemplate.For(TemplateTextIn(modelFolder), modelType);
            return new PromptEncoder(tokenizer, template, "", vision, preprocessor);
        }
        catch (InputException exception)
        {
            // Such a model still completes raw text; the complaint is made when a conversation arrives.
            return new PromptEncoder(tokenizer, null, exception.Message, vision, preprocessor);
        }
    }

    /// <summary>A conversation through the chat template.</summary>
    /// <param name="messages">System first if at all, then user and assistant in turn.</param>
    /// <param name="addGenerationPrompt">End with the opening of the model's turn.</param>
    /// <exception cref="InputException">Wrong order of roles, pictures that do not fit the text, or a picture that cannot be read.</exception>
    public Prompt Encode(IReadOnlyList<ChatMessage> messages, bool addGenerationPrompt)
    {
        List<ImageSource> images = ImagesOf(messages);
        string text = Template.Render(messages, addGenerationPrompt);
        return EncodeMarked(text, addBos: false, PrepareAll(images, CountMarks(text)));
    }

    /// <summary>Text as it stands, with one <c>&lt;start_of_image&gt;</c> per picture; exactly one opening token is put in front if it has none.</summary>
    /// <param name="raw">The text; when it is empty the pictures stand alone, separated by spaces.</param>
    /// <param name="images">Pictures in the order of their marks.</param>
    /// <exception cref="InputException">Pictures that do not fit the text, or a picture that cannot be read.</exception>
    public Prompt EncodeText(string raw, IReadOnlyList<ImageSource> images)
    {
        if (raw.Length == 0 && _vision is { } vision) raw = string.Join(' ', Enumerable.Repeat(vision.StartOfImage, images.Count));
        bool addBos = Tokenizer.BosId >= 0 && !raw.StartsWith(Tokenizer.TokenOf(Tokenizer.BosId), StringComparison.Ordinal);
        return EncodeMarked(raw, addBos, PrepareAll(images, CountMarks(raw)));
    }

    /// <summary>Ids of a reply and its end mark: what follows the prompt that <see cref="Encode"/> made with a generation prompt.</summary>
    public int[] EncodeAnswer(string answer) => Tokenizer.EncodeContinuation(Template.RenderAnswer(answer));

    /// <summary>A whole conversation to train on, with every assistant turn marked as answer.</summary>
    /// <exception cref="InputException">As for <see cref="Encode"/>.</exception>
    public TrainingPrompt EncodeConversation(IReadOnlyList<ChatMessage> messages)
    {
        List<ImageSource> sources = ImagesOf(messages);
        IReadOnlyList<RenderedPiece> pieces = Template.RenderPieces(messages, addGenerationPrompt: false);
        List<PreparedImage> prepared = PrepareAll(sources, pieces.Sum(piece => CountMarks(piece.Text)));
        List<int> ids = [];
        List<bool> isAnswer = [];
        int taken = 0;
        foreach (RenderedPiece piece in pieces)
        {
            int count = CountMarks(piece.Text);
            string expanded = Expand(piece.Text, prepared[taken..(taken + count)]);
            taken += count;
            // An answer begins behind the template's line break, so nothing merges across these seams.
            ids.AddRange(ids.Count == 0 ? Tokenizer.Encode(expanded, addBos: false) : Tokenizer.EncodeContinuation(expanded));
            while (isAnswer.Count < ids.Count) isAnswer.Add(piece.IsAnswer);
        }
        return new TrainingPrompt(Assemble([.. ids], prepared), [.. isAnswer]);
    }

    private ChatTemplate Template => _template ?? throw new InputException(_templateComplaint);

    /// <summary>One picture of the user: itself, then its crops.</summary>
    private sealed record PreparedImage(IReadOnlyList<ImagePixels> Pixels)
    {
        public int CropCount => Pixels.Count - 1;
    }

    private Prompt EncodeMarked(string text, bool addBos, List<PreparedImage> prepared) =>
        Assemble(Tokenizer.Encode(Expand(text, prepared), addBos), prepared);

    private Prompt Assemble(int[] ids, List<PreparedImage> prepared)
    {
        List<ImageSpan> spans = [];
        if (_vision is { } vision)
            for (int start = Array.IndexOf(ids, vision.ImageTokenId); start >= 0; start = Array.IndexOf(ids, vision.ImageTokenId, start + vision.TokensPerImage))
                spans.Add(new ImageSpan(start, vision.TokensPerImage));
        return new Prompt(ids, [.. prepared.SelectMany(image => image.Pixels)], spans);
    }

    // The wording around crops is the reference processor's.
    private string Expand(string text, List<PreparedImage> prepared)
    {
        if (_vision is not { } vision || prepared.Count == 0) return text;
        string tokens = new StringBuilder().Insert(0, vision.ImageToken, vision.TokensPerImage).ToString();
        string block = $"\n\n{vision.StartOfImage}{tokens}{vision.EndOfImage}\n\n";
        var expanded = new StringBuilder(text.Length + prepared.Count * block.Length);
        int from = 0;
        foreach (PreparedImage image in prepared)
        {
            int mark = text.IndexOf(vision.StartOfImage, from, StringComparison.Ordinal);
            expanded.Append(text, from, mark - from);
            if (image.CropCount == 0) expanded.Append(block);
            else
                expanded.Append("Here is the original image ").Append(block).Append(" and here are some crops to help you see better ")
                    .AppendJoin(' ', Enumerable.Repeat(block, image.CropCount));
            from = mark + vision.StartOfImage.Length;
        }
        return expanded.Append(text, from, text.Length - from).ToString();
    }

    private int CountMarks(string text)
    {
        if (_vision is not { } vision) return 0;
        if (text.Contains(vision.ImageToken, StringComparison.Ordinal))
            throw new InputException($"the text contains {vision.ImageToken}, which only the encoder may place; attach an image instead");
        int count = 0;
        for (int at = text.IndexOf(vision.StartOfImage, StringComparison.Ordinal); at >= 0; count++)
            at = text.IndexOf(vision.StartOfImage, at + vision.StartOfImage.Length, StringComparison.Ordinal);
        return count;
    }

    private List<PreparedImage> PrepareAll(IReadOnlyList<ImageSource> images, int marks)
    {
        if (_vision is not { } vision)
            return images.Count == 0 ? [] : throw new InputException($"{images.Count} image(s) given, but the model has no vision tower; leave them out or use a multimodal model");
        if (marks != images.Count)
            throw new InputException($"{images.Count} image(s) for {marks} image mark(s) in the prompt; every {vision.StartOfImage} needs one image, " +
                "and a message's text must not contain that mark itself");
        var volumes = new Dictionary<string, Volume>(StringComparer.Ordinal); // of this prompt: its slices come from few files
        return [.. images.Select(source => Remembered?.GetOrAdd(source, one => Prepare(one, volumes)) ?? Prepare(source, volumes))];
    }

    private PreparedImage Prepare(ImageSource source, Dictionary<string, Volume> volumes)
    {
        if (source.Region is not null || source.Magnification is not null) return new PreparedImage([Process(LastPicture.Open(source, ApplyOrientation, MaxImagePixels, Window).Read(source.Region))]);
        RgbImage image = source.Slice > 0 ? Slice(source, volumes) : ImageDecoder.Decode(source, ApplyOrientation, MaxImagePixels, Window);
        List<ImagePixels> pixels = [Process(image)];
        foreach (PictureRegion crop in PanAndScan?.Crops(image.Width, image.Height) ?? [])
            pixels.Add(Process(image.Crop(crop.Left, crop.Top, crop.Width, crop.Height)));
        return new PreparedImage(pixels);
    }

    private ImagePixels Process(RgbImage image)
    {
        if (!PadToSquare) return _preprocessor!.Process(image);
        long side = Math.Max(image.Width, image.Height);
        return side * side <= MaxImagePixels
            ? _preprocessor!.Process(image.PaddedToSquare())
            : throw new InputException($"an image of {image.Width} x {image.Height} pixels has {side * side} pixels when it is padded to a square, more than the limit of {MaxImagePixels}; cut it, or leave it unpadded");
    }

    private RgbImage Slice(ImageSource source, Dictionary<string, Volume> volumes)
    {
        if (!volumes.TryGetValue(source.Path!, out Volume? volume)) volumes.Add(source.Path!, volume = Volume.Open(source.Path!, MaxImagePixels));
        return volume.Show(source.Slice, source.Window ?? Window);
    }

    private static List<ImageSource> ImagesOf(IReadOnlyList<ChatMessage> messages)
    {
        ArgumentNullException.ThrowIfNull(messages);
        for (int i = 0; i < messages.Count; i++)
            if (messages[i]?.Content is not { } content || content.Any(part => part is null or TextPart { Text: null } or ImagePart { Image: null }))
                throw new ArgumentException($"message {i} is null, or its content or a part of that is", nameof(messages));
        return [.. messages.SelectMany(message => message.Content).OfType<ImagePart>().Select(part => part.Image)];
    }

    // Three generations of Hugging Face folders keep it in three places.
    private static string? TemplateTextIn(string folder)
    {
        string jinja = Path.Combine(folder, "chat_template.jinja"), json = Path.Combine(folder, "chat_template.json");
        if (File.Exists(jinja)) return Encoding.UTF8.GetString(JsonInput.ReadFile(jinja));
        return File.Exists(json) ? JsonInput.FromFile(json).Required("chat_template").Text()
            : TokenizerSettings.Beside(Path.Combine(folder, "tokenizer.model")).ChatTemplate;
    }

    private static void RequireAgreement(string folder, VisionTokens vision, ImagePreprocessor preprocessor)
    {
        if (preprocessor.TokensPerImage is { } counted && counted != vision.TokensPerImage)
            throw new InputException($"{folder}: the processor counts on {counted} tokens per image (image_seq_length), the model makes {vision.TokensPerImage} (mm_tokens_per_image)");
        if (preprocessor.Height != vision.ImageSize || preprocessor.Width != vision.ImageSize)
            throw new InputException($"{folder}: the processor makes pictures of {preprocessor.Width} x {preprocessor.Height} pixels, the vision tower takes {vision.ImageSize} x {vision.ImageSize}");
    }
}
