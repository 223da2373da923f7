//! Types that a file may name without declaring or importing them: the language's, those of
//! browsers and of Node.js that data is made of, and what the app itself declares for all of its
//! files.

use std::path::Path;

/// Names of types and namespaces that TypeScript's own libraries declare, and `@types/node`.
/// Elements and the like of a page are no data, and known by how their names begin.
const GLOBALS: &str = "
    AggregateError Array ArrayBuffer ArrayBufferLike ArrayBufferView ArrayIterator ArrayLike AsyncDisposable AsyncDisposableStack
    AsyncGenerator AsyncGeneratorFunction AsyncIterable AsyncIterableIterator AsyncIterator AsyncIteratorObject Atomics Awaited BigInt
    BigInt64Array BigUint64Array Boolean Capitalize ConcatArray ConstructorParameters DataView Date DateConstructor Disposable
    DisposableStack Error ErrorOptions EvalError Exclude Extract FinalizationRegistry FlatArray Float16Array Float32Array Float64Array
    Function Generator GeneratorFunction IArguments ImportAttributes ImportMeta InstanceType Int16Array Int32Array Int8Array Intl Iterable
    IterableIterator Iterator IteratorObject IteratorResult IteratorReturnResult IteratorYieldResult JSON Lowercase Map MapIterator Math
    NoInfer NonNullable Number Object Omit OmitThisParameter Parameters Partial Pick Promise PromiseFulfilledResult PromiseLike
    PromiseRejectedResult PromiseSettledResult PromiseWithResolvers PropertyDescriptor PropertyDescriptorMap PropertyKey ProxyHandler
    RangeError Readonly ReadonlyArray ReadonlyMap ReadonlySet ReadonlySetLike Record ReferenceError Reflect RegExp RegExpExecArray
    RegExpIndicesArray RegExpMatchArray Required ReturnType Set SetIterator SharedArrayBuffer String StringIterator SuppressedError Symbol
    SyntaxError TemplateStringsArray ThisParameterType ThisType TypeError TypedPropertyDescriptor URIError Uint16Array Uint32Array
    Uint8Array Uint8ClampedArray Uncapitalize Uppercase WeakKey WeakMap WeakRef WeakSet

    ClassDecorator ClassDecoratorContext ClassFieldDecoratorContext ClassMethodDecoratorContext DecoratorContext MethodDecorator
    ParameterDecorator PropertyDecorator

    AbortController AbortSignal Blob BlobPart BlobPropertyBag BodyInit BroadcastChannel BufferSource ByteLengthQueuingStrategy Cache
    CacheStorage Client Clipboard ClipboardItem CloseEvent CompressionStream Coordinates CountQueuingStrategy Credential
    CredentialCreationOptions Crypto CryptoKey CryptoKeyPair CustomEvent DOMException DOMMatrix DOMPoint DOMPointInit DOMRect DOMRectInit
    DOMRectReadOnly DOMStringMap DecompressionStream Document DocumentFragment DragEvent Element ErrorEvent Event EventInit EventListener
    EventSource EventTarget File FileList FileReader FilePropertyBag FileSystemEntry FileSystemHandle FileSystemFileHandle FormData
    FormDataEntryValue GamepadButton Geolocation GeolocationCoordinates GeolocationPosition Headers HeadersInit HeadersIterator History
    ImageBitmap ImageData JsonWebKey KeyboardEvent Location MediaDeviceInfo MediaDeviceKind MediaStream MediaStreamTrack MessageChannel
    MessageEvent MessagePort MimeType MouseEvent MutationObserver MutationRecord Navigator Node NodeList Notification
    NotificationOptions NotificationPermission PaymentAddress PaymentRequest PaymentResponse Performance PerformanceEntry
    PerformanceMeasure PermissionState PermissionStatus PointerEvent ProgressEvent PublicKeyCredential
    PublicKeyCredentialCreationOptions PublicKeyCredentialCreationOptionsJSON PublicKeyCredentialDescriptor
    PublicKeyCredentialRequestOptions PublicKeyCredentialRequestOptionsJSON PublicKeyCredentialUserEntity PublicKeyCredentialJSON
    AuthenticationResponseJSON RegistrationResponseJSON AuthenticatorTransport AuthenticatorResponse PushSubscription
    PushSubscriptionJSON PushSubscriptionOptions QueuingStrategy Range ReadableStream ReadableStreamDefaultReader
    ReadableStreamDefaultController Request RequestCache RequestCredentials RequestInfo RequestInit RequestMode RequestRedirect Response
    ResponseInit ResponseType Screen ScreenOrientation Selection ServiceWorker Storage StorageEstimate StorageEvent StorageManager
    StructuredSerializeOptions SubmitEvent SubtleCrypto Text TextDecoder TextDecoderStream TextEncoder TextEncoderStream TextMetrics
    TimeRanges Touch TouchEvent TransformStream TransformStreamDefaultController Transferable UIEvent URL URLSearchParams VisibilityState
    WakeLock WebAssembly WebSocket WheelEvent Window WindowProxy Worker WritableStream WritableStreamDefaultWriter XMLHttpRequest
    XMLHttpRequestResponseType

    Buffer BufferConstructor BufferEncoding Console NodeJS RequestListener WithImplicitCoercion Timer Immediate Timeout ReadableStreamReader

    JSX React const
";

/// Beginnings of the names of what a page and its graphics are made of.
const FAMILIES: [&str; 10] = [
    "HTML", "SVG", "CSS", "RTC", "IDB", "GPU", "WebGL", "Audio", "Canvas", "MediaKey",
];

/// Whether TypeScript knows this name without a declaration of the app's.
pub(super) fn is_global(name: &str) -> bool {
    GLOBALS
        .split_ascii_whitespace()
        .any(|global| global == name)
        || FAMILIES.iter().any(|family| {
            name.strip_prefix(family)
                .is_some_and(|rest| rest.starts_with(|next: char| next.is_ascii_uppercase()))
        })
}

/// How many files of an app are looked through for what they declare globally.
const FILES: usize = 20_000;

/// Whether a file below `folder` declares this type for all files: a `.d.ts`, or one that says
/// `declare global`. It is looked for by its words alone, so that none is missed for how it is
/// written.
pub(super) fn is_ambient(folder: &Path, name: &str) -> bool {
    let (mut folders, mut left) = (vec![folder.to_owned()], FILES);
    while let Some(folder) = folders.pop() {
        let Ok(entries) = std::fs::read_dir(&folder) else {
            continue;
        };
        for entry in entries.flatten() {
            let path = entry.path();
            let Some(file) = path.file_name().and_then(|name| name.to_str()) else {
                continue;
            };
            // Of a link, `file_type` says that it is one: nothing leads out of the app.
            let Ok(kind) = entry.file_type() else {
                continue;
            };
            if kind.is_dir() && file != "node_modules" && !file.starts_with('.') {
                folders.push(path);
            } else if kind.is_file()
                && [".ts", ".tsx", ".mts", ".cts"]
                    .iter()
                    .any(|end| file.ends_with(end))
            {
                if left == 0 {
                    return true;
                }
                left -= 1;
                let Ok(text) = std::fs::read_to_string(&path) else {
                    continue;
                };
                let for_all = [".d.ts", ".d.mts", ".d.cts"]
                    .iter()
                    .any(|end| file.ends_with(end));
                if (for_all || text.contains("declare global")) && declares(&text, name) {
                    return true;
                }
            }
        }
    }
    false
}

/// Whether the words of a text declare a type of this name.
fn declares(text: &str, name: &str) -> bool {
    let part = |c: char| c.is_alphanumeric() || c == '_' || c == '$';
    text.match_indices(name).any(|(at, _)| {
        let before = text[..at].trim_end();
        let follows = before.len() < at && !text[at + name.len()..].starts_with(part);
        let kinds = ["interface", "type", "class", "enum", "namespace", "module"];
        follows
            && kinds.iter().any(|kind| {
                before
                    .strip_suffix(kind)
                    .is_some_and(|rest| !rest.ends_with(part))
            })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_declare_a_type() {
        for text in [
            "declare global { interface Money {} }",
            "export type\n  Money = 1",
            "declare enum Money {}",
        ] {
            assert!(declares(text, "Money"), "{text}");
        }
        for text in [
            "type Moneys = 1",
            "type NoMoney = 1",
            "const Money = 1",
            "mytype Money",
        ] {
            assert!(!declares(text, "Money"), "{text}");
        }
    }

    #[test]
    fn globals_are_known_by_name() {
        for name in [
            "Date",
            "PushSubscriptionJSON",
            "Buffer",
            "HTMLElement",
            "Uint8Array",
        ] {
            assert!(is_global(name), "{name}");
        }
        for name in ["strng", "Money", "Html", "HTMLelement", ""] {
            assert!(!is_global(name), "{name}");
        }
    }
}
